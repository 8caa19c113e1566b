-- As in PostgreSQL's migration 0010, where it is explained. A key cannot be changed in place here: the tables are made anew.
alter table position add column incarnation    integer not null default 0;
alter table position add column last_offset    integer;
alter table position add column last_at        integer;
alter table position add column last_digest    blob;
alter table position add column checked_offset integer;
alter table position add column checked_at     integer;
alter table position add column checked_digest blob;
alter table position add column stray          integer;

alter table dead_letter rename to dead_letter_before;
drop index dead_letter_open;
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
    kind    text,
    headers blob,
    incarnation integer not null default 0,
    unique (cluster, topic, part, off, incarnation)
) strict;
insert into dead_letter (id, cluster, topic, part, off, reason, detail, at, state, note, closed_at, sealed, kind, headers)
    select id, cluster, topic, part, off, reason, detail, at, state, note, closed_at, sealed, kind, headers
    from dead_letter_before;
drop table dead_letter_before;
create index dead_letter_open on dead_letter (id) where state = 0;

alter table early_command rename to early_command_before;
drop index early_command_request;
drop index early_command_expires;
create table early_command (
    cluster    text    not null,
    topic      text    not null,
    part       integer not null,
    off        integer not null,
    request_id blob    not null,
    tenant     text    not null,
    command_id blob    not null,
    arrived_at integer not null,
    expires_at integer not null,
    buried_at  integer,
    command    blob    not null,
    raw        blob    not null,
    headers    blob,
    incarnation integer not null default 0,
    primary key (cluster, topic, part, off, incarnation)
) strict, without rowid;
insert into early_command (cluster, topic, part, off, request_id, tenant, command_id, arrived_at, expires_at, buried_at,
        command, raw, headers)
    select cluster, topic, part, off, request_id, tenant, command_id, arrived_at, expires_at, buried_at, command, raw, headers
    from early_command_before;
drop table early_command_before;
create index early_command_request on early_command (request_id);
create index early_command_expires on early_command (expires_at);
