use super::ids::{RequestId, TaskId};
pub const MAX_TASKS: u16 = 512;
pub fn task_id(request: RequestId, ordinal: u16) -> TaskId { let _ = ordinal; TaskId(request.0) }
