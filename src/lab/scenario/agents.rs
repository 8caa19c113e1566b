//! The agent of a policy: the real one, beside a database of its own. It asks the API for its tasks, as it does beside any
//! worker.

use std::{
    collections::BTreeMap,
    path::Path,
    str::FromStr as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio_util::sync::CancellationToken;

use super::{Stuck, environment::Output};
use crate::{
    agent::{
        Answer, Place, Task, Turn, open,
        run::{Manner, run},
        source::{Source, SourceError},
        sources,
    },
    clock::{Clock, ManualClock},
    config::{Agent as Settings, AgentPlace},
    domain::{ids::ProcessorId, time::At, words::Outcome},
    engine::Engine,
    policies::Profile,
    telemetry::agent_metrics::AgentMetrics,
};

/// How long a task may take that outlasts its lease.
const LONGEST: Duration = Duration::from_secs(600);

/// The agent of a policy.
#[derive(Debug)]
pub struct Agent {
    settings: Settings,
    place: Arc<Listening>,
    clock: Clock,
    database: SqliteConnectOptions,
    tables: Vec<String>,
    metrics: Arc<AgentMetrics>,
    stop: CancellationToken,
}

/// It ends with this.
impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Agent {
    /// The agent of a profile, where it has one, with its database in this folder. `worker`: where the API is.
    pub async fn open(
        profile: &Profile,
        folder: &Path,
        worker: &str,
        clock: &ManualClock,
    ) -> Result<Option<Self>, Stuck> {
        let url = format!("sqlite:{}", folder.join("agents.db").display());
        let Some(settings) = profile.agent(folder, worker, &url)? else {
            return Ok(None);
        };
        let database = SqliteConnectOptions::from_str(&url).map_err(of_database)?;
        let statements = profile.agent.map_or("", |files| files.database);
        let mut connection = SqliteConnection::connect_with(&database.clone().create_if_missing(true))
            .await
            .map_err(of_database)?;
        sqlx::raw_sql(AssertSqlSafe(statements))
            .execute(&mut connection)
            .await
            .map_err(of_database)?;
        connection.close().await.map_err(of_database)?;
        let AgentPlace::Sql(sql) = &settings.place else {
            return Err(Stuck::Fell("the agent of a policy has a database".to_owned()));
        };
        let metrics = AgentMetrics::new(settings.processor.as_str())
            .map_err(|error| Stuck::Fell(format!("the agent's metrics: {error}")))?;
        let tables = sql.tables.iter().map(|table| table.name.clone()).collect();
        let clock = Clock::Manual(clock.clone());
        let place = open(&settings, &clock)
            .await
            .map_err(|error| Stuck::Fell(error.to_string()))?;
        Ok(Some(Self {
            settings,
            place: Arc::new(Listening {
                place,
                heard: Mutex::default(),
            }),
            clock,
            database,
            tables,
            metrics: Arc::new(metrics),
            stop: CancellationToken::new(),
        }))
    }

    /// The next time at which there is a task for it.
    pub async fn next_due(&self, engine: &Engine) -> Result<Option<At>, Stuck> {
        let lane: (ProcessorId, _) = (self.settings.processor.clone(), None);
        let heads = engine.queues().heads(&[lane]).await?;
        Ok(heads.into_iter().map(|head| head.due).min())
    }

    /// Takes what there is now, once.
    pub async fn turn(&self) -> Result<(), Stuck> {
        let stop = self.stop.child_token();
        let mut source = Once {
            source: self.source()?,
            stop: stop.clone(),
        };
        self.run(&mut source, &stop).await
    }

    /// Takes tasks until this ends.
    pub fn work(&self) -> Result<impl Future<Output = Result<(), Stuck>> + Send + 'static, Stuck> {
        let mut source = self.source()?;
        let (place, clock, stop) = (Arc::clone(&self.place), self.clock.clone(), self.stop.clone());
        let manner = self.manner();
        Ok(async move {
            let ended = run(source.as_mut(), place.as_ref(), &manner, &clock, &stop).await;
            ended.map_err(of_source)
        })
    }

    fn source(&self) -> Result<Box<dyn Source>, Stuck> {
        sources::open(
            &self.settings.source,
            &self.settings.processor,
            &self.clock,
            &self.metrics,
        )
        .map_err(of_source)
    }

    fn manner(&self) -> Manner {
        Manner {
            batch: self.settings.batch,
            longest: LONGEST,
            once: false,
            metrics: Arc::clone(&self.metrics),
        }
    }

    async fn run(&self, source: &mut dyn Source, stop: &CancellationToken) -> Result<(), Stuck> {
        let ended = run(source, self.place.as_ref(), &self.manner(), &self.clock, stop).await;
        ended.map_err(of_source)
    }

    /// What it was asked, and has answered, since the last time.
    pub fn heard(&self) -> Vec<Output> {
        std::mem::take(&mut *self.place.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many rows each of its tables has.
    pub async fn rows(&self) -> Result<BTreeMap<String, i64>, Stuck> {
        let mut connection = SqliteConnection::connect_with(&self.database)
            .await
            .map_err(of_database)?;
        let mut rows = BTreeMap::new();
        for table in &self.tables {
            let count = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from \"{table}\"")))
                .fetch_one(&mut connection)
                .await
                .map_err(of_database)?;
            rows.insert(table.clone(), count);
        }
        connection.close().await.map_err(of_database)?;
        Ok(rows)
    }
}

/// Where tasks are carried out, with an ear for them.
#[derive(Debug)]
struct Listening {
    place: Box<dyn Place>,
    heard: Mutex<Vec<Output>>,
}

#[async_trait]
impl Place for Listening {
    async fn carry_out(&self, tasks: &[Task], turn: &Turn) -> Vec<Answer> {
        let answers = self.place.carry_out(tasks, turn).await;
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        for (task, answer) in tasks.iter().zip(&answers) {
            // What it was handed was JSON: it has read it.
            let message: serde_json::Value = serde_json::from_slice(&task.raw).unwrap_or_default();
            heard.push(Output::Task(message.clone()));
            if answer.outcome != Outcome::Accepted {
                heard.push(Output::Answered(message));
            }
        }
        answers
    }
}

/// A source that nothing more is taken from once what was taken is answered.
#[derive(Debug)]
struct Once {
    source: Box<dyn Source>,
    stop: CancellationToken,
}

#[async_trait]
impl Source for Once {
    async fn take(&mut self, most: u32, stop: &CancellationToken) -> Result<Vec<Task>, SourceError> {
        self.source.take(most, stop).await
    }

    async fn answer(
        &mut self,
        answers: &[(&Task, Answer)],
        stop: &CancellationToken,
    ) -> Result<(), SourceError> {
        self.source.answer(answers, stop).await
    }

    async fn settled(&mut self) -> Result<(), SourceError> {
        self.source.settled().await?;
        self.stop.cancel();
        Ok(())
    }

    async fn keep(&mut self) {
        self.source.keep().await;
    }
}

fn of_database(error: sqlx::Error) -> Stuck {
    Stuck::Fell(format!("the agent's database: {error}"))
}

fn of_source(error: SourceError) -> Stuck {
    Stuck::Fell(format!("the agent: {error}"))
}
