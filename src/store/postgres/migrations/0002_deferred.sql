-- Facts, the sweeps that follow them, deferred tasks and capsules.

-- What decisions read and no request owns. Only ever inserted, under the exclusive gate lock, which is why its versions
-- have no gaps: whoever knows the facts up to one asks for those after it.
create table fact (
    version integer  primary key,
    kind    smallint not null,
    id      uuid     not null unique,
    at      bigint   not null,
    key     text     not null unique,
    about   text,
    body    text     not null,
    digest  bytea    not null,
    sealed  bytea
);
alter table fact alter column sealed set storage external;
create index fact_about on fact (about, version) where about is not null;

-- The walk that each fact of some kinds needs. The one index is for those that go on, which are few; no update guards
-- by what it says.
create table sweep (
    version     integer  primary key,
    kind        smallint not null,
    started_at  bigint   not null,
    updated_at  bigint   not null,
    finished_at bigint,
    done        bigint   not null,
    total       bigint,
    stage       integer  not null,
    after_mark  bigint,
    after_id    uuid
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
create index sweep_unfinished on sweep (version) where finished_at is null;

-- A number for each processor that a task was ever deferred at: millions of rows and two of their indexes would spell its
-- name otherwise. Only ever inserted.
create table processor_number (
    number integer primary key,
    name   text    not null unique
);

-- The tasks that wait for a date or for an event. No date is the end of time, so that a list by date has them last.
-- The wide columns come first: there may be millions of rows, and padding would cost a tenth of them.
create table deferred (
    request_id uuid     not null,
    until      bigint   not null,
    mark       bigint   not null,
    ordinal    smallint not null,
    reason     smallint not null,
    processor  integer  not null,
    primary key (request_id, ordinal)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
-- There are few pairs of reason and processor, so that a list by date merges a range of each. An index by date alone
-- would read all of it for a list of what is rare. The few tasks of one request at one date are sorted when they are
-- read: their ordinals would cost eight bytes a row.
create index deferred_until on deferred (reason, processor, until, request_id);
-- 8: copies that have to grow old, whose mark is another time than their date. The requests of one mark are those of one
-- transaction, so they are sorted when they are read, and without their ids equal marks share an entry: a row costs a
-- sixth of what it would with them.
create index deferred_mark on deferred (processor, mark) where reason = 8;
-- 7: held. No statement that changes a row says so.
create index deferred_held on deferred (request_id) where reason = 7;

-- The keys of capsules: a row a week and combination of backup sets. One without a key is destroyed, and goes once its
-- last capsule is gone: it says which capsules those are, and nobody has to look through all of them.
create table capsule_epoch (
    week        integer not null,
    sets        text    not null,
    wrapped_key bytea,
    primary key (week, sets)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 0);

-- The identifiers that are kept for a restore replay, sealed under the key of their epoch.
create table capsule (
    request_id uuid    primary key,
    week       integer not null,
    sets       text    not null,
    sealed     bytea   not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
alter table capsule alter column sealed set storage external;
create index capsule_week on capsule (week, request_id);
