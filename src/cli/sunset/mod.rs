//! `lacuna sunset`: the service ends, and everybody's data goes.
//!
//! One person prepares a plan over a file of subjects, another one approves it, and what is published is what both have
//! seen. The commands go through the topic as all others do: gates, holds and the volume brake apply to them.

mod args;
mod format;
mod identity_types;
mod input;
mod people;
mod plan;
mod progress;
mod publish;
mod rate;
mod render;
mod rows;
mod subject;
mod subjects;
mod survey;

use std::{collections::BTreeSet, fs::File, path::Path};

use uuid::Uuid;

pub use self::args::Args;
use self::{
    format::FilePosition,
    identity_types::Types,
    input::Input,
    people::{Part, Person, check_tenant, check_two, identify, tenant_of},
    plan::{Order, Plan},
    progress::Progress,
    publish::{End, Run},
    render::say,
    subject::command,
    subjects::Subjects,
    survey::{Survey, Surveyor, Wrongs},
};
use super::{
    Exit, Failure,
    interrupt::Interrupt,
    output::Out,
    session::{self, block_on},
};
use crate::{
    clock::Clock,
    config::{Config, StoreUrl},
    domain::{
        calendar::Regime,
        identity::{Identity, SubjectData},
        registry::Registry,
    },
    engine::time_ordered_id,
    kafka::publish::Publisher,
    vault::Vault,
};

/// Runs it.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let (config, registry) = Config::load_with_registry(args.config.path())?;
    let desk = Desk {
        args,
        vault: session::vault(&config)?,
        types: types(&registry),
        config,
        registry,
    };
    match (&args.approve, &args.ids) {
        (Some(plan), _) => desk.approve(plan),
        (None, Some(plan)) => desk.print_ids(plan),
        (None, None) if args.dry_run => desk.dry_run(),
        (None, None) => desk.prepare(),
    }
}

/// Identifiers that some processor takes.
fn types(registry: &Registry) -> Types {
    let all = registry
        .processors
        .iter()
        .flat_map(|processor| &processor.identities);
    Types(all.cloned().collect())
}

/// What every step needs.
struct Desk<'a> {
    args: &'a Args,
    config: Config,
    registry: Registry,
    vault: Vault,
    types: Types,
}

impl Desk<'_> {
    fn dry_run(&self) -> Result<Exit, Failure> {
        let input = Input::open(&self.args.file)?;
        // Nobody has to say who they are to look.
        let order = self.order(Person {
            name: "dry run".to_owned(),
            proved: false,
        })?;
        let mut out = Out::stdout();
        let survey = self.survey(
            &input,
            &order,
            &mut Wrongs::Shown {
                out: &mut out,
                name: input.name(),
            },
        )?;
        render::survey(&mut out, &input, &order, &survey, self.args.rate, &self.config)?;
        say(
            &mut out,
            "dry run",
            "nothing was published, and no plan was written",
        )?;
        out.end()?;
        self.refuse_wrong_lines(&survey)
    }

    fn prepare(&self) -> Result<Exit, Failure> {
        let Args {
            actor, token, plan, ..
        } = self.args;
        let person = identify(&self.config, Part::Prepare, actor.as_deref(), token.as_deref())?;
        self.compare_keyring()?;
        let input = Input::open(&self.args.file)?;
        let order = self.order(person)?;
        let mut out = Out::stdout();
        let bad = input.beside("bad");
        let mut wrongs = if self.args.skip_bad {
            Wrongs::kept(bad.clone())
        } else {
            Wrongs::Shown {
                out: &mut out,
                name: input.name(),
            }
        };
        let survey = self.survey(&input, &order, &mut wrongs)?;
        wrongs.end()?;
        render::survey(&mut out, &input, &order, &survey, self.args.rate, &self.config)?;
        if survey.bad > 0 && !self.args.skip_bad {
            out.end()?;
            return self.refuse_wrong_lines(&survey);
        }
        if survey.subjects == 0 {
            return Err(Failure::Usage(
                "every line is wrong: there is nobody to plan for".to_owned(),
            ));
        }
        if survey.bad > 0 {
            say(
                &mut out,
                "left out",
                format_args!("the wrong lines; {} lists them", bad.display()),
            )?;
        }
        let now = Clock::System.now();
        let written = Plan {
            version: Plan::VERSION,
            run_id: time_ordered_id(now),
            prepared_at: now,
            order,
            sha256: input.sha256().to_owned(),
            format: survey.format,
            subjects: survey.subjects,
            types: self.types.clone(),
            placeholders: self.config.policy.placeholders.clone(),
            left_out: survey.bad,
            identities: survey.identities,
        };
        let path = plan.clone().unwrap_or_else(|| input.beside("plan"));
        written.write(&path, &self.vault)?;
        render::prepared(&mut out, &written, &path, &input.name())?;
        out.end()?;
        Ok(Exit::Ok)
    }

    /// Refuses a keyring that is not the store's: the ids of commands follow from it, so a run that is repeated under the
    /// right one would ask for everybody once more. A SQLite store that is not there yet belongs to no keyring.
    fn compare_keyring(&self) -> Result<(), Failure> {
        if matches!(&self.config.store.url, StoreUrl::Sqlite(path) if !path.exists()) {
            return Ok(());
        }
        block_on(async {
            let store = session::open_store(&self.config).await?;
            session::check_keyring(&self.config, &self.vault, store.as_ref()).await
        })
    }

    fn order(&self, prepared_by: Person) -> Result<Order, Failure> {
        let args = self.args;
        let own = tenant_of(&self.config, &prepared_by).unwrap_or(&self.config.tenant_default);
        let tenant = args.tenant.clone().unwrap_or_else(|| own.clone());
        check_tenant(&self.config, &prepared_by, &tenant)?;
        if let Some(text) = &args.regime {
            let regimes = &self.config.policy.regimes;
            let known = Regime::parse(text).and_then(|regime| regimes.terms(&regime));
            known.ok_or_else(|| Failure::Usage(format!("--regime: {}", regimes.expected())))?;
        }
        let order = Order {
            action: args.action,
            tenant,
            regime: args.regime.clone(),
            requested_at: args.requested_at.unwrap_or_else(|| Clock::System.now()),
            identity_verified: args.identity_verified,
            prepared_by,
        };
        // What is wrong with the order would be wrong with every line.
        let kind = self.types.0.first().ok_or_else(|| {
            Failure::Usage(
                "no processor of the registry takes any identifier: nobody could be named to them".to_owned(),
            )
        })?;
        let anybody = Identity {
            kind: kind.clone(),
            value: SubjectData::new("anybody"),
        };
        command(&order, Uuid::nil(), &self.vault, &[anybody]).map_err(Failure::Usage)?;
        Ok(order)
    }

    fn survey(&self, input: &Input, order: &Order, wrong: &mut Wrongs<'_>) -> Result<Survey, Failure> {
        Surveyor {
            input,
            order,
            vault: &self.vault,
            types: &self.types,
            placeholders: &self.config.policy.placeholders,
            registry: &self.registry,
        }
        .survey(wrong)
    }

    fn refuse_wrong_lines(&self, survey: &Survey) -> Result<Exit, Failure> {
        if survey.bad == 0 || self.args.skip_bad {
            return Ok(Exit::Ok);
        }
        Err(Failure::Usage(format!(
            "{} of {} lines are wrong: nothing is prepared until they are mended, or left out with --skip-bad",
            survey.bad,
            survey.bad + survey.subjects
        )))
    }

    /// The plan, and the file that it is about.
    fn planned(&self, path: &Path) -> Result<(Plan, Input), Failure> {
        let plan = Plan::read(path, &self.vault)?;
        let input = Input::open(&self.args.file)?;
        if input.sha256() != plan.sha256 {
            return Err(Failure::NotSo(format!(
                "{} is not the file that {} was prepared over (its SHA-256 is another): nothing is published; prepare \
                 a plan anew",
                input.name(),
                path.display()
            )));
        }
        Ok((plan, input))
    }

    fn print_ids(&self, path: &Path) -> Result<Exit, Failure> {
        let (plan, input) = self.planned(path)?;
        let mut out = Out::stdout();
        let mut subjects = Subjects::open(
            &input,
            plan.format,
            &plan.types,
            &plan.placeholders,
            FilePosition::default(),
        )?;
        while let Some(entry) = subjects.next()? {
            let named = entry
                .identities
                .and_then(|identities| command(&plan.order, plan.run_id, &self.vault, &identities));
            if let Ok((id, _)) = named {
                out.line(id)?;
            }
        }
        out.end()?;
        Ok(Exit::Ok)
    }

    fn approve(&self, path: &Path) -> Result<Exit, Failure> {
        let Args { actor, token, .. } = self.args;
        let person = identify(&self.config, Part::Approve, actor.as_deref(), token.as_deref())?;
        let (plan, input) = self.planned(path)?;
        check_two(&plan.order.prepared_by, &person)?;
        check_tenant(&self.config, &person, &plan.order.tenant)?;
        self.compare_keyring()?;
        // Held as long as this runs: two at once would write each other's progress over.
        let _lock = lock(path)?;
        let state = self.args.state.clone().unwrap_or_else(|| input.beside("sunset"));
        let found = Progress::read(&state, plan.run_id)?;
        let is_new = found.is_none();
        let now = Clock::System.now();
        let mut progress = found.unwrap_or_else(|| Progress {
            run_id: plan.run_id,
            approved_by: person,
            started_at: now,
            updated_at: now,
            place: FilePosition::default(),
            confirmed: 0,
            complete: false,
        });
        let mut out = Out::stdout();
        render::begins(&mut out, &plan, &progress, is_new)?;
        if let Some(warning) = render::unproved(&plan.order.prepared_by, Some(&progress.approved_by)) {
            tracing::warn!("{warning}");
        }
        if progress.complete {
            render::was_complete(&mut out, &progress)?;
        } else {
            if let Some(brake) = render::brake(self.config.policy.approval, plan.subjects, self.args.rate) {
                say(&mut out, "mind", brake)?;
                out.flush()?;
            }
            let run = Run {
                input: &input,
                plan: &plan,
                vault: &self.vault,
                topic: &self.config.kafka.topics.commands,
                state: &state,
                rate: self.args.rate,
            };
            self.publish(&run, &mut progress)?;
            render::complete(&mut out, &plan, &progress)?;
        }
        render::after(&mut out, &self.args.file, path)?;
        out.end()?;
        Ok(Exit::Ok)
    }

    fn publish(&self, run: &Run<'_>, progress: &mut Progress) -> Result<(), Failure> {
        let cluster = session::cluster(&self.config)?;
        let ended = block_on(async {
            let interrupt = Interrupt::listen();
            let publisher = Publisher::connect(&cluster, BTreeSet::from([run.topic.to_owned()])).await?;
            run.publish(&publisher, progress, &interrupt).await
        });
        let unfinished = || Failure::NotSo(render::unfinished(run.plan, progress));
        match ended {
            Ok(End::Complete) => Ok(()),
            Ok(End::Interrupted) => Err(unfinished()),
            Err(failure) => Err(Failure::Several(vec![failure, unfinished()])),
        }
    }
}

fn lock(path: &Path) -> Result<File, Failure> {
    let file = File::open(path).map_err(super::lines::unreadable(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Failure::NotSo(format!(
            "another `lacuna sunset` is publishing {} now",
            path.display()
        ))),
        Err(std::fs::TryLockError::Error(source)) => Err(session::of_system("lock the plan")(source)),
    }
}
