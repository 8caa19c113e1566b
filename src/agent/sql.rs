//! A database: tasks are deleted, anonymized or counted in its declared tables.

mod anonymize;
mod catalogue;
mod change;
mod check;
mod database;
mod find;
mod links;
mod memory;
mod misfit;
mod plan;
mod remove;
mod report;
mod walk;
mod writer;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use self::{
    anonymize::Digests,
    catalogue::Catalogue,
    database::{Pool, SqlError},
    memory::Memory,
    plan::Plan,
    walk::{Broken, Counts, Mode, Walk},
    writer::Writer,
};
use super::{
    answer::{Answer, Evidence},
    place::{Place, PlaceError},
    task::Task,
    turn::Turn,
};
use crate::{
    config::{Sql, SqlAction, SqlDialect},
    domain::{
        ids::Label,
        words::{Action, Outcome},
    },
};

/// A lost race is run again so often at once.
const RACES: usize = 3;
/// The basis that is given for rows that stay because rows that stay refer to them.
const REFERRED_TO: &str = "referred_to_by_other_data";

/// What stays for that reason is looked at again after so long.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// A database, with what is known of its tables.
#[derive(Debug)]
pub struct Database {
    pool: Pool,
    dialect: SqlDialect,
    plan: Plan,
    chunk: usize,
    pause: Duration,
    hmac: Option<Digests>,
    zero_effect_after: u32,
    /// What was counted of tasks that may come again.
    memory: Mutex<Memory>,
    /// For how many tasks a table had nothing.
    idle: Mutex<BTreeMap<usize, u32>>,
}

/// What a configuration and a catalogue have to do with each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// What has to be changed before the agent starts.
    pub errors: Vec<String>,
    /// What is worth a look.
    pub warnings: Vec<String>,
}

impl Database {
    /// Connects, and reads the catalogue.
    pub async fn open(sql: &Sql) -> Result<Self, PlaceError> {
        let pool = Pool::open(sql).await?;
        let catalogue = Catalogue::read(&pool)
            .await
            .map_err(|error| PlaceError::Unreachable {
                what: "the database's catalogue",
                why: error.to_string(),
            })?;
        let mut plan = Plan::of(sql, &catalogue);
        if plan.errors.is_empty() {
            links::tie(&mut plan, &catalogue);
            check::look_around(&mut plan, sql, &catalogue);
        }
        Ok(Self {
            pool,
            dialect: sql.dialect,
            plan,
            chunk: sql.chunk as usize,
            pause: sql.pause,
            hmac: sql.hmac.as_ref().map(|key| Digests::new(key.expose().as_bytes())),
            zero_effect_after: sql.zero_effect_after,
            memory: Mutex::default(),
            idle: Mutex::default(),
        })
    }

    /// What is wrong, and what is worth a look.
    pub fn findings(&self) -> Findings {
        Findings {
            errors: self.plan.errors.clone(),
            warnings: self.plan.warnings.clone(),
        }
    }

    /// The same database, where nothing is wrong.
    pub fn checked(self) -> Result<Self, PlaceError> {
        for warning in &self.plan.warnings {
            tracing::warn!(warning, "the database and the configuration");
        }
        if self.plan.errors.is_empty() {
            Ok(self)
        } else {
            Err(PlaceError::Mistaken(self.plan.errors.join("\n")))
        }
    }

    const fn writer(&self) -> Writer {
        Writer::new(self.dialect)
    }

    /// Tasks that one walk does together concern the same tables in the same way.
    fn groups<'t>(&self, tasks: &'t [Task]) -> Vec<Vec<(usize, &'t Task)>> {
        let is_dated = self.plan.tables.iter().any(|table| table.collected_at.is_some());
        /// Whether it only looks, at which categories, and collected before when.
        type Alike = (bool, Vec<Label>, Option<i64>);
        let mut groups: BTreeMap<Alike, Vec<(usize, &Task)>> = BTreeMap::new();
        for (n, task) in tasks.iter().enumerate() {
            let mut categories = task.categories.clone();
            categories.sort();
            let before = is_dated.then(|| task.data_before.millis());
            let key = (task.action == Action::Verify, categories, before);
            groups.entry(key).or_default().push((n, task));
        }
        groups.into_values().collect()
    }

    async fn group(&self, tasks: &[&Task], turn: &Turn) -> Vec<Answer> {
        let done = self.together(tasks, turn).await;
        match done {
            Ok(answers) => answers,
            // One at which it fails must not keep the others.
            Err(_) if tasks.len() > 1 && turn.ended().is_none() => {
                let mut answers = Vec::with_capacity(tasks.len());
                for task in tasks {
                    let alone = [*task];
                    let answer = self.together(&alone, turn).await;
                    answers.push(answer.map_or_else(|broken| answer_of(&broken), |mut one| one.remove(0)));
                }
                answers
            }
            Err(broken) => tasks.iter().map(|_| answer_of(&broken)).collect(),
        }
    }

    async fn together(&self, tasks: &[&Task], turn: &Turn) -> Result<Vec<Answer>, Broken> {
        let is_question = tasks.first().is_some_and(|task| task.action == Action::Verify);
        let mode = if is_question { Mode::Look } else { Mode::Work };
        let mut walk = Walk::new(self, tasks, turn, mode);
        let mut done = walk.all().await;
        for _ in 0..RACES {
            match &done {
                Err(Broken::Sql(SqlError::Refused { is_passing: true, .. })) => done = walk.all().await,
                _ => break,
            }
        }
        let (counts, statements) = (walk.counts, walk.statements);
        if let Err(broken) = done {
            if mode == Mode::Work {
                self.remember(tasks, counts, false);
            }
            return Err(broken);
        }
        if is_question {
            return Ok(tasks
                .iter()
                .zip(&counts)
                .map(|(_, counts)| self.seen(counts))
                .collect());
        }
        self.watch_idle(tasks, &counts);
        let digest = digest_of(&statements);
        let counts = self.remember(tasks, counts, true);
        let answers = tasks.iter().zip(&counts);
        let answers = answers.map(|(task, counts)| self.done(task, counts, &digest));
        Ok(answers.collect())
    }

    fn seen(&self, counts: &Counts) -> Answer {
        let rows: u64 = counts.changed.values().sum();
        let outcome = if rows > 0 {
            Outcome::Present
        } else {
            Outcome::Absent
        };
        Answer::new(outcome).with(self.evidence(counts, "count", None))
    }

    fn done(&self, task: &Task, counts: &Counts, digest: &str) -> Answer {
        if !counts.kept.is_empty() {
            return self.kept(task, counts, digest);
        }
        if counts.found.is_empty() {
            return self.not_found(task, counts, digest);
        }
        let is_anonymized = counts
            .found
            .iter()
            .any(|n| self.plan.tables[*n].action != SqlAction::Delete);
        let (outcome, method) = if is_anonymized {
            (Outcome::Anonymized, "anonymize")
        } else {
            (Outcome::Erased, "delete")
        };
        Answer::new(outcome).with(self.evidence(counts, method, Some(digest)))
    }

    /// What was anonymized is nobody's any more, and not found again. Where an earlier attempt was carried out and its answer lost, that
    /// nothing is found does not say that nothing was there.
    fn not_found(&self, task: &Task, counts: &Counts, digest: &str) -> Answer {
        let mut tables = self.plan.tables.iter();
        let may_be_anonymized =
            tables.any(|table| table.action != SqlAction::Delete && task.concerns(table.category.as_ref()));
        if task.attempt > 1 && may_be_anonymized {
            return Answer::new(Outcome::Anonymized)
                .with(self.evidence(counts, "anonymize", Some(digest)))
                .saying("nothing is found any more; an earlier attempt, whose answer was lost, may have anonymized it");
        }
        Answer::new(Outcome::NotFound).with(self.evidence(counts, "delete", Some(digest)))
    }

    /// Something stays that rows refer to which stay. Those may go one day, so that it is asked for again.
    fn kept(&self, task: &Task, counts: &Counts, digest: &str) -> Answer {
        let tables = counts.kept.iter().map(|n| self.plan.tables[*n].name.as_str());
        let tables: Vec<&str> = tables.collect();
        let why = format!(
            "rows of {} stay, because rows that are not asked for, or are too young, refer to them",
            tables.join(", ")
        );
        let Ok(basis) = Label::new(REFERRED_TO) else {
            return Answer::failed(why);
        };
        let categories: BTreeSet<Label> = counts
            .kept
            .iter()
            .filter_map(|n| self.plan.tables[*n].category.clone())
            .collect();
        let mut answer = Answer::new(Outcome::Retained)
            .with(self.evidence(counts, "delete", Some(digest)))
            .saying(why);
        let again = task.respond_by.plus(KEPT_FOR);
        answer.retained = Some((basis, Some(again), categories.into_iter().collect()));
        answer
    }

    fn evidence(&self, counts: &Counts, method: &str, digest: Option<&str>) -> Evidence {
        let mut by_category: BTreeMap<Label, u64> = BTreeMap::new();
        for (n, rows) in &counts.changed {
            if let Some(category) = &self.plan.tables[*n].category {
                *by_category.entry(category.clone()).or_default() += rows;
            }
        }
        Evidence {
            method: Some(method.to_owned()),
            reference: None,
            records: counts.changed.values().sum(),
            digest: digest.map(str::to_owned),
            by_category,
            by_table: change::named(&self.plan.tables, &counts.changed),
        }
    }

    /// Remembers what was counted; gives what was counted in all.
    fn remember(&self, tasks: &[&Task], counts: Vec<Counts>, is_done: bool) -> Vec<Counts> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = tasks.iter().zip(counts);
        counts
            .map(|(task, counts)| memory.add(task, counts, is_done))
            .collect()
    }

    /// A table in which nobody is ever found is one that is declared wrongly, as a rule.
    fn watch_idle(&self, tasks: &[&Task], counts: &[Counts]) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        for (n, table) in self.plan.tables.iter().enumerate() {
            if !tasks.iter().any(|task| task.concerns(table.category.as_ref())) {
                continue;
            }
            let since = idle.entry(n).or_default();
            if counts.iter().any(|counts| counts.found.contains(&n)) {
                *since = 0;
                continue;
            }
            let before = *since / self.zero_effect_after;
            *since = since.saturating_add(seen);
            if *since / self.zero_effect_after > before {
                tracing::warn!(
                    table = table.name,
                    tasks = *since,
                    "zero effect: no row of this table belonged to anybody of so many tasks; are its columns the right ones?"
                );
            }
        }
    }
}

fn answer_of(broken: &Broken) -> Answer {
    match broken {
        Broken::Ended(ended) => Answer::partial(ended.says()),
        Broken::Sql(error) => Answer::failed(error.to_string()),
        Broken::NotSo(why) => Answer::failed(why.clone()),
    }
}

fn digest_of(statements: &BTreeSet<String>) -> String {
    let mut digest = Sha256::new();
    for statement in statements {
        digest.update(statement.as_bytes());
        digest.update(b"\n");
    }
    format!("sha256:{}", hex::encode(digest.finalize()))
}

#[async_trait]
impl Place for Database {
    async fn carry_out(&self, tasks: &[Task], turn: &Turn) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = tasks
            .iter()
            .map(|task| task.unknown_method().map(Answer::unsupported))
            .collect();
        for group in self.groups(tasks) {
            let (places, group): (Vec<usize>, Vec<&Task>) =
                group.into_iter().filter(|(n, _)| answers[*n].is_none()).unzip();
            if group.is_empty() {
                continue;
            }
            for (place, answer) in places.into_iter().zip(self.group(&group, turn).await) {
                answers[place] = Some(answer);
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Answer::failed("the task was not carried out")))
            .collect()
    }

    fn idle(&self) -> Vec<(String, u32)> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = idle.iter();
        idle.map(|(n, tasks)| (self.plan.tables[*n].name.clone(), *tasks))
            .collect()
    }
}
