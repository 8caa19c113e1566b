-- What a connector has to remember of a task between its calls, retries and generations: the vendor's ids of the person, the job
-- that was submitted. Sealed under the request's own key, so that it is forgotten with its identifiers.
create table note (
    request_id uuid not null,
    task_id    uuid not null,
    sealed     bytea not null,
    primary key (request_id, task_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
