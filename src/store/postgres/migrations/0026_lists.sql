-- Lists that are quick however many requests are stored, views that people keep, and changes to many requests at once.

-- By when an open request is due: a list of what is due soon reads a range. It changes with an extension alone, and goes with
-- its row. Null: written by an earlier version, until it is filled in.
alter table agenda add column deadline bigint;
create index agenda_deadline on agenda (deadline, request_id);

-- The keyed digest of the ticket that a request has upstream. Hardly anybody searches by it, and so nothing is kept in order for
-- it: a summary of each range of blocks says which tickets are certainly not in it. It goes with the other digests.
alter table request add column ticket bytea;
create index request_ticket on request using brin (ticket bytea_bloom_ops (false_positive_rate = 0.001))
    with (pages_per_range = 32, autosummarize = on);

-- What stands out of all requests: overdue, at risk, failing, waiting for a person, refused. Most requests never have a row.
create table marked (
    request_id uuid     not null,
    deadline   bigint   not null,
    mark       smallint not null,
    primary key (mark, request_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index marked_deadline on marked (mark, deadline, request_id);

-- Up to which request the two above were filled in for what an earlier version has written. Null: the walk has not begun, or is
-- over.
create table listed (
    one      boolean primary key default true check (one),
    after_id uuid,
    done     boolean not null
);
insert into listed (done) select not exists (select from state);

-- Leaves of the ledger in which a person acts: 1, looked; 2, decided; 3, ran the installation.
create table acted (
    at         bigint   not null,
    request_id uuid     not null,
    n          integer  not null,
    kind       smallint not null,
    actor      text     not null,
    primary key (request_id, n)
) with (autovacuum_vacuum_insert_scale_factor = 0.1);
create index acted_at on acted (at, request_id, n);
create index acted_actor on acted (actor, at, request_id, n);

-- Filters that somebody has given a name.
create table saved_view (
    owner    text   not null,
    name     text   not null,
    page     text   not null,
    query    text   not null,
    saved_at bigint not null,
    primary key (owner, page, name)
);

-- Changes to many requests at once. The reason lies sealed. state: 0 runs, 1 paused, 2 cancelled, 3 over.
create table bulk_job (
    id          uuid     primary key,
    created_at  bigint   not null,
    updated_at  bigint   not null,
    owned_until bigint   not null,
    owner       uuid,
    state       smallint not null,
    action      smallint not null,
    total       integer  not null,
    next_n      integer  not null,
    done        integer  not null,
    refused     integer  not null,
    matched     integer  not null,
    actor       text     not null,
    tenant      text,
    chosen      text     not null,
    digest      bytea    not null,
    sealed      bytea    not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
create index bulk_job_running on bulk_job (updated_at) where state = 0;

-- What it changes, each once: a request, or a task of it. outcome: 0 waits, 1 done, 2 not, because of `why`.
create table bulk_item (
    job        uuid     not null,
    request_id uuid     not null,
    n          integer  not null,
    ordinal    smallint not null,
    outcome    smallint not null,
    why        text,
    primary key (job, n)
) with (autovacuum_vacuum_scale_factor = 0.05);
