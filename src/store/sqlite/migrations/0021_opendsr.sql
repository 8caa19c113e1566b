-- Tasks that a processor has accepted and that it has to be asked about: OpenDSR. Whoever asks moves the row on first, and
-- deletes it once the task is not accepted any more.
create table poll (
    request_id blob    not null,
    due        integer not null,
    ordinal    integer not null,
    processor  text    not null,
    primary key (request_id, ordinal)
) strict, without rowid;
create index poll_due on poll (processor, due);

-- Where controllers that speak OpenDSR to us want to be told, and what they were told last. A row is due once its request
-- has moved, and goes once the end was told.
create table status_callback (
    request_id blob    not null,
    due        integer not null,
    tries      integer not null,
    n          integer not null,
    told       integer not null,
    controller text    not null,
    url        text    not null,
    primary key (request_id, n)
) strict, without rowid;
create index status_callback_due on status_callback (due);
