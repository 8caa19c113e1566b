//! The places that there are.

use super::{
    command::Program,
    objects::Objects,
    place::{Place, PlaceError},
    sql::Database,
    topics::Topics,
};
use crate::{
    clock::Clock,
    config::{Agent, AgentPlace},
};

/// Opens the place of a configuration, and looks whether it is as the configuration says.
pub async fn open(agent: &Agent, clock: &Clock) -> Result<Box<dyn Place>, PlaceError> {
    Ok(match &agent.place {
        AgentPlace::Sql(sql) => Box::new(Database::open(sql).await?.checked()?),
        AgentPlace::Objects(objects) => Box::new(Objects::open(objects, clock).await?),
        AgentPlace::KafkaTopics(topics) => Box::new(Topics::open(topics, clock).await?),
        AgentPlace::Command(command) => Box::new(Program::new(command)),
    })
}
