-- The same tables as in PostgreSQL's migration 0004, where each is explained.

alter table request add column lookups blob not null default x'';

create table lookups_line (
    at       integer not null,
    id       blob    not null,
    requests blob    not null,
    primary key (at, id)
) strict, without rowid;
create table records_line (
    at       integer not null,
    id       blob    not null,
    requests blob    not null,
    primary key (at, id)
) strict, without rowid;

create table suppression (
    digest        blob not null,
    request_id    blob not null,
    identity_type text not null,
    primary key (digest, request_id)
) strict, without rowid;
create index suppression_of_request on suppression (request_id);

create table last_word (
    id   blob    not null primary key,
    at   integer not null,
    kind integer not null,
    key  blob    not null
) strict, without rowid;

create index inbox_of_request on inbox (request_id) where request_id <> command_id;
