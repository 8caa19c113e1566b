-- What a connector has to remember of a task between its calls, retries and generations: the vendor's ids of the person, the job
-- that was submitted. Sealed under the request's own key, so that it is forgotten with its identifiers.
create table note (
    request_id blob not null,
    task_id    blob not null,
    sealed     blob not null,
    primary key (request_id, task_id)
) strict, without rowid;
