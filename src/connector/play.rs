//! Playing examples: without a network; tests play them against an imitation of the vendor too.

use super::{
    batch::Answered,
    example::{Asks, Canned, Example},
    forms::in_form,
    kept::Kept,
    language::{Connector, Does},
    person::Person,
    request::Values,
    rules::{Answer, Judged},
    run::{Ask, Call, Next, Run},
    tally::Settled,
};
use crate::domain::{
    identity::{Identity, SubjectData},
    ids::IdentityType,
    time::At,
};

impl From<Asks> for Ask {
    fn from(asks: Asks) -> Self {
        match asks {
            Asks::Erase => Self::Erase,
            Asks::Probe => Self::Probe,
            Asks::Poll => Self::Poll,
        }
    }
}

/// Why an example does not come to what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Differs {
    /// A step is called, and the next answer is for another one, or there is none.
    #[error("the step {called:?} is called, and the next answer is {answered}")]
    OtherStep {
        /// The step.
        called: String,
        /// The step of the answer.
        answered: String,
    },
    /// Answers are left.
    #[error("no call was made for the answer of the step {0:?}")]
    NotCalled(String),
    /// It comes to something else.
    #[error("it comes to {came_to}, not to {expected}{why}")]
    OtherEnd {
        /// What it comes to.
        came_to: &'static str,
        /// What it should.
        expected: String,
        /// What people would be told.
        why: String,
    },
    /// The person cannot be told to the vendor.
    #[error("{0}")]
    NoPerson(String),
}

impl Settled {
    /// Its word, as examples have it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Erased { .. } => "erased",
            Self::NotFound => "not_found",
            Self::Accepted => "accepted",
            Self::Pending => "pending",
            Self::Retained { .. } => "retained",
            Self::Retry(_) => "retry",
            Self::RateLimited(_) => "rate_limited",
            Self::Unauthorised(_) => "unauthorised",
            Self::Rejected(_) => "rejected",
            Self::Failed(_) => "failed",
            Self::Present => "present",
            Self::Absent => "absent",
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Retry(why)
            | Self::RateLimited(why)
            | Self::Unauthorised(why)
            | Self::Rejected(why)
            | Self::Failed(why) => why,
            _ => "",
        }
    }
}

impl Example {
    /// The made-up person.
    pub fn identities(&self) -> Vec<Identity> {
        let identity = |(kind, value): (&IdentityType, &String)| Identity {
            kind: kind.clone(),
            value: SubjectData::new(value.as_str()),
        };
        self.identities.iter().map(identity).collect()
    }

    /// What an earlier attempt has kept; where a job is asked about, it was submitted.
    pub fn kept(&self, connector: &Connector) -> Kept {
        let mut kept = Kept::default().of_generation(1);
        for (name, values) in &self.kept {
            let is_of_job = connector
                .steps
                .iter()
                .any(|step| step.does == Does::Submit && step.keep.contains_key(name));
            kept.add(name, values.clone(), is_of_job);
        }
        if self.asks == Asks::Poll {
            kept.begun = Some(At::default());
            kept.sent = kept.begun;
            // Whoever asks about a job has no identifiers but those that were kept when it was submitted.
            for (kind, value) in &self.identities {
                let takes = connector.identities.get(kind);
                let form = takes.map_or(&[][..], |takes| takes.form.as_slice());
                if let Ok(value) = in_form(value, form, None) {
                    kept.add(kind.as_str(), vec![value.expose().to_owned()], true);
                }
            }
        }
        kept
    }

    /// Plays it, without any call.
    pub fn play(&self, connector: &Connector) -> Result<(), Differs> {
        let values = made_up(connector);
        let person = Person::of(connector, &self.identities(), &values)
            .map_err(|error| Differs::NoPerson(error.to_string()))?;
        let person = match self.asks {
            Asks::Poll => Person::default(),
            Asks::Erase | Asks::Probe => person,
        };
        let mut run = Run::new(self.asks.into(), person, self.kept(connector));
        let mut answers = self.answers.iter();
        let settled = loop {
            match run.next(connector) {
                Next::Keep => {}
                Next::Done(settled) => break settled,
                Next::Call(call) => {
                    let judged = judged(connector, &call, answers.next())?;
                    run.heard(connector, &call, judged, At::default());
                }
            }
        };
        if let Some(left) = answers.next() {
            return Err(Differs::NotCalled(left.step.clone()));
        }
        self.compare(&settled)
    }

    /// Whether that is what it has to come to.
    pub fn compare(&self, settled: &Settled) -> Result<(), Differs> {
        if settled.word() == self.comes_to {
            return Ok(());
        }
        let why = settled.why();
        Err(Differs::OtherEnd {
            came_to: settled.word(),
            expected: self.comes_to.clone(),
            why: if why.is_empty() {
                String::new()
            } else {
                format!(" ({why})")
            },
        })
    }
}

fn judged(connector: &Connector, call: &Call, canned: Option<&Canned>) -> Result<Judged, Differs> {
    let step = &connector.steps[call.step];
    let Some(canned) = canned.filter(|canned| canned.step == step.id) else {
        return Err(Differs::OtherStep {
            called: step.id.clone(),
            answered: canned.map_or_else(|| "missing".to_owned(), |canned| format!("for {:?}", canned.step)),
        });
    };
    let answer = Answer {
        status: canned.status,
        body: &canned.body,
        text: canned.text.as_deref(),
        canonical: canned.canonical.as_deref(),
    };
    let id = call.target.value.expose();
    if step.batch.is_some()
        && let Answered::Each(each) = step.judge_batch(answer, &[id])
        && let Some(first) = each.into_iter().next()
    {
        return Ok(first);
    }
    Ok(step.judge(answer, id))
}

/// Values for settings: the defaults, or the setting's own name in capitals.
pub fn made_up(connector: &Connector) -> Values {
    let mut values = Values::default();
    for (name, setting) in &connector.settings {
        let value = setting
            .default
            .clone()
            .or_else(|| setting.one_of.first().cloned());
        values.set(name, &value.unwrap_or_else(|| name.to_uppercase()));
    }
    values
}
