-- The same tables as in PostgreSQL's migration 0002, where each is explained. A list by date reads one index and
-- filters: one file does not hold so many rows that a range for each pair of reason and processor would be needed.

create table fact (
    version integer not null primary key,
    kind    integer not null,
    id      blob    not null unique,
    at      integer not null,
    key     text    not null unique,
    about   text,
    body    text    not null,
    digest  blob    not null,
    sealed  blob
) strict;
create index fact_about on fact (about, version) where about is not null;

create table sweep (
    version     integer not null primary key,
    kind        integer not null,
    started_at  integer not null,
    updated_at  integer not null,
    finished_at integer,
    done        integer not null,
    total       integer,
    stage       integer not null,
    after_mark  integer,
    after_id    blob
) strict;
create index sweep_unfinished on sweep (version) where finished_at is null;

create table deferred (
    request_id blob    not null,
    until      integer not null,
    mark       integer not null,
    ordinal    integer not null,
    reason     integer not null,
    processor  text    not null,
    primary key (request_id, ordinal)
) strict, without rowid;
create index deferred_until on deferred (until, request_id, ordinal);
create index deferred_mark on deferred (reason, processor, mark, request_id);
create index deferred_held on deferred (request_id) where reason = 7;

create table capsule_epoch (
    week        integer not null,
    sets        text    not null,
    wrapped_key blob,
    primary key (week, sets)
) strict, without rowid;

create table capsule (
    request_id blob    not null primary key,
    week       integer not null,
    sets       text    not null,
    sealed     blob    not null
) strict, without rowid;
create index capsule_week on capsule (week, request_id);

-- How many requests came in lately: PostgreSQL's migration 0001 has an index of ranges for it.
create index request_received_at on request (received_at);
