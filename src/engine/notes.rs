//! What a connector has to remember of a task between its calls: sealed under the key of the task's request, so that it is
//! forgotten with the request's identifiers.

use std::collections::{HashMap, HashSet};

use zeroize::Zeroizing;

use super::{Engine, EngineError};
use crate::{
    domain::ids::{RequestId, TaskId},
    store::NoteRow,
};

/// A task of a request.
pub type OfTask = (RequestId, TaskId);

impl Engine {
    /// What is remembered of these tasks. Of a request whose identifiers are forgotten nothing is.
    pub async fn notes(&self, tasks: &[OfTask]) -> Result<HashMap<OfTask, Zeroizing<Vec<u8>>>, EngineError> {
        let requests = requests_of(tasks);
        let rows = self.store.notes(&requests).await?;
        if rows.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = self.wrapped_keys(&requests).await?;
        let wanted: HashSet<&OfTask> = tasks.iter().collect();
        let mut found = HashMap::new();
        for row in rows {
            let of = (row.request_id, row.task_id);
            if let Some(key) = keys.get(&row.request_id).filter(|_| wanted.contains(&of)) {
                let plain = self
                    .vault
                    .open_note(row.request_id, row.task_id, key, &row.sealed)?;
                found.insert(of, plain);
            }
        }
        Ok(found)
    }

    /// Remembers something of tasks. Where a request's identifiers are forgotten already, nothing of it is remembered either.
    pub async fn remember(&self, notes: &[(OfTask, Zeroizing<Vec<u8>>)]) -> Result<(), EngineError> {
        let tasks: Vec<OfTask> = notes.iter().map(|(of, _)| *of).collect();
        let keys = self.wrapped_keys(&requests_of(&tasks)).await?;
        let mut rows = Vec::with_capacity(notes.len());
        for ((request, task), plain) in notes {
            if let Some(key) = keys.get(request) {
                rows.push(NoteRow {
                    request_id: *request,
                    task_id: *task,
                    sealed: self.vault.seal_note(*request, *task, key, plain)?,
                });
            }
        }
        Ok(self.store.put_notes(&rows).await?)
    }

    async fn wrapped_keys(&self, requests: &[RequestId]) -> Result<HashMap<RequestId, Vec<u8>>, EngineError> {
        let stored = self.store.requests(requests).await?;
        let keys = stored
            .into_iter()
            .filter_map(|stored| Some((stored.request.id, stored.wrapped_key?)));
        Ok(keys.collect())
    }
}

fn requests_of(tasks: &[OfTask]) -> Vec<RequestId> {
    let mut requests: Vec<RequestId> = tasks.iter().map(|(request, _)| *request).collect();
    requests.sort_unstable();
    requests.dedup();
    requests
}
