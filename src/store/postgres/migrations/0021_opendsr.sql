-- Tasks that a processor has accepted and that it has to be asked about: OpenDSR. Whoever asks moves the row on first, and
-- deletes it once the task is not accepted any more.
create table poll (
    request_id uuid     not null,
    due        bigint   not null,
    ordinal    smallint not null,
    processor  text     not null,
    primary key (request_id, ordinal)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index poll_due on poll (processor, due);

-- Where controllers that speak OpenDSR to us want to be told, and what they were told last. A row is due once its request
-- has moved, and goes once the end was told.
create table status_callback (
    request_id uuid     not null,
    due        bigint   not null,
    tries      integer  not null,
    n          smallint not null,
    told       smallint not null,
    controller text     not null,
    url        text     not null,
    primary key (request_id, n)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index status_callback_due on status_callback (due);
