-- What goes when it has been kept for long enough, who is suppressed, and what has to be said of what is gone.

-- The digests of the request's identifiers in `subject`, 16 bytes each, so that they are found when they have to go: an
-- index of `subject` by request would cost every request more than these bytes do.
alter table request add column lookups bytea not null default '';

-- Requests that came to their end, in line for what is deleted of them: a row a transaction, its requests as 16 bytes
-- each. A row leaves its line at the front, so that nobody looks for what is old: the oldest row says whether there is
-- anything to do. A table a line, so that the front is read in the order of the key, whatever the planner believes.
create table lookups_line (
    at       bigint not null,
    id       uuid   not null,
    requests bytea  not null,
    primary key (at, id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create table records_line (
    at       bigint not null,
    id       uuid   not null,
    requests bytea  not null,
    primary key (at, id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- The identifiers of requests as the suppression topic has them. Empty where there is no such topic.
create table suppression (
    digest        bytea not null,
    request_id    uuid  not null,
    identity_type text  not null,
    primary key (digest, request_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index suppression_of_request on suppression (request_id);

-- Keys of compacted topics whose last record has to say what is true now, after their rows have gone. Drains to nothing.
create table last_word (
    id   uuid     primary key,
    at   bigint   not null,
    kind smallint not null,
    key  bytea    not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The commands of a request, but for the one that opened it where that gave the request its id: most rows are such.
create index inbox_of_request on inbox (request_id) where request_id <> command_id;
