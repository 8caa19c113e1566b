-- The same tables as in PostgreSQL's migration 0001, where each is explained. Ids are 16 bytes. A table that is only
-- reached by its key is WITHOUT ROWID: one tree instead of two.

create table request (
    id          blob    not null primary key,
    tenant      text    not null,
    received_at integer not null,
    body        blob    not null,
    sealed      blob    not null
) strict;

create table state (
    id          blob    not null primary key,
    revision    integer not null,
    status      integer not null,
    packed      blob    not null,
    wrapped_key blob
) strict, without rowid;

create table inbox (
    tenant     text not null,
    command_id blob not null,
    digest     blob not null,
    request_id blob not null,
    primary key (tenant, command_id)
) strict, without rowid;

create table subject (
    digest     blob not null,
    request_id blob not null,
    primary key (digest, request_id)
) strict, without rowid;

create table ledger (
    request_id blob    not null,
    n          integer not null,
    leaf       blob    not null,
    sealed     blob,
    primary key (request_id, n)
) strict, without rowid;

create table ledger_batch (
    id    blob    not null primary key,
    at    integer not null,
    count integer not null,
    keys  blob    not null
) strict;

create table agenda (
    request_id  blob    not null primary key,
    wake_at     integer not null,
    received_at integer not null
) strict, without rowid;
create index agenda_wake_at on agenda (wake_at);

create table position (
    cluster     text    not null,
    topic       text    not null,
    part        integer not null,
    next_offset integer not null,
    seen_until  integer not null,
    primary key (cluster, topic, part)
) strict, without rowid;

create table dead_letter (
    id      blob    not null primary key,
    cluster text    not null,
    topic   text    not null,
    part    integer not null,
    off     integer not null,
    reason  text    not null,
    detail  text    not null,
    at      integer not null,
    state   integer not null,
    note    text,
    closed_at integer,
    sealed  blob,
    unique (cluster, topic, part, off)
) strict;
create index dead_letter_open on dead_letter (id) where state = 0;

create table counter (
    slot integer not null,
    kind text    not null,
    a    text    not null,
    b    text    not null,
    n    integer not null,
    primary key (slot, kind, a, b)
) strict, without rowid;

create table registry (
    revision     integer not null primary key,
    text         text    not null,
    activated_at integer not null
) strict;

create table outbox (
    request_id blob    not null primary key,
    revision   integer not null,
    at         integer not null
) strict, without rowid;
