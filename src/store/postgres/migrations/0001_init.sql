-- Times are milliseconds since 1970. Ids are time-ordered, so that the indexes grow at their right edge.
-- Nothing here draws from a sequence, and no index stands on what a hot UPDATE changes or guards by: a partial index
-- on an in-flight state looks empty to the planner, which then reads all of it for every batch.

-- What is written once about a request. Nothing updates it.
create table request (
    id          uuid   primary key,
    tenant      text   not null,
    received_at bigint not null,
    body        bytea  not null,
    sealed      bytea  not null
);
-- Sealed bytes do not compress.
alter table request alter column sealed set storage external;
create index request_received_at on request using brin (received_at);

-- The aggregate: one small row that is rewritten in place, some times within days, and then it may sleep for years. A page
-- that is not full keeps most of its updates on it, and without any other index they stay heap-only. Measured with two updates
-- a row, bytes a row and updates that are heap-only: at 45 percent 621 and 99 %, at 60 471 and 87 %, at 70 380 and 77 %, at 80
-- 444 and 50 %.
create table state (
    id          uuid     primary key,
    revision    integer  not null,
    status      smallint not null,
    packed      bytea    not null,
    wrapped_key bytea
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.1);
alter table state alter column wrapped_key set storage plain;

-- The commands that were taken in.
create table inbox (
    tenant     text  not null,
    command_id uuid  not null,
    digest     bytea not null,
    request_id uuid  not null,
    primary key (tenant, command_id)
);

-- Keyed digests of identifiers.
create table subject (
    digest     bytea not null,
    request_id uuid  not null,
    primary key (digest, request_id)
);

-- A row a request and transaction. Only ever inserted.
create table ledger (
    request_id uuid    not null,
    n          integer not null,
    leaf       bytea   not null,
    sealed     bytea,
    primary key (request_id, n)
);
alter table ledger alter column sealed set storage external;

-- The leaves of one transaction, in order, for the sequencer: 20 bytes a leaf (request id, n big-endian).
create table ledger_batch (
    id    uuid    primary key,
    at    bigint  not null,
    count integer not null,
    keys  bytea   not null
);
alter table ledger_batch alter column keys set storage external;

-- Whatever must wake at a time; a request that is not closed has one row.
create table agenda (
    request_id  uuid   primary key,
    wake_at     bigint not null,
    received_at bigint not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index agenda_wake_at on agenda (wake_at);

-- How far a topic's partition has been taken in. Few rows, each rewritten by every batch.
create table position (
    cluster     text    not null,
    topic       text    not null,
    part        integer not null,
    next_offset bigint  not null,
    seen_until  bigint  not null,
    primary key (cluster, topic, part)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Messages that could not be taken in.
create table dead_letter (
    id      uuid     primary key,
    cluster text     not null,
    topic   text     not null,
    part    integer  not null,
    off     bigint   not null,
    reason  text     not null,
    detail  text     not null,
    at      bigint   not null,
    state   smallint not null,
    note    text,
    closed_at bigint,
    sealed  bytea,
    unique (cluster, topic, part, off)
);
alter table dead_letter alter column sealed set storage external;
create index dead_letter_open on dead_letter (id) where state = 0;

-- Counters behind the gauges, in slots, so that workers do not wait for each other. Few rows, rewritten all the time.
create table counter (
    slot smallint not null,
    kind text     not null,
    a    text     not null,
    b    text     not null,
    n    bigint   not null,
    primary key (slot, kind, a, b)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- The revisions of the registry.
create table registry (
    revision     integer primary key,
    text         text    not null,
    activated_at bigint  not null
);

-- Requests whose outputs no Kafka input caused and that nobody has reported as produced. Drains to nothing.
create table outbox (
    request_id uuid    primary key,
    revision   integer not null,
    at         bigint  not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
