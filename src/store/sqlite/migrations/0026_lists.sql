-- Lists that are quick however many requests are stored, views that people keep, and changes to many requests at once.

-- By when an open request is due: a list of what is due soon reads a range. It changes with an extension alone, and goes with
-- its row. Null: written by an earlier version, until it is filled in.
alter table agenda add column deadline integer;
create index agenda_deadline on agenda (deadline, request_id);

-- The keyed digest of the ticket that a request has upstream. It goes with the other digests.
alter table request add column ticket blob;
create index request_ticket on request (ticket) where ticket is not null;

-- What stands out of all requests: overdue, at risk, failing, waiting for a person, refused. Most requests never have a row.
create table marked (
    request_id blob    not null,
    deadline   integer not null,
    mark       integer not null,
    primary key (mark, request_id)
) strict, without rowid;
create index marked_deadline on marked (mark, deadline, request_id);

-- Up to which request the two above were filled in for what an earlier version has written. Null: the walk has not begun, or is
-- over.
create table listed (
    one      integer not null primary key default 1 check (one = 1),
    after_id blob,
    done     integer not null
) strict;
insert into listed (done) select not exists (select 1 from state);

-- Leaves of the ledger in which a person acts: 1, looked; 2, decided; 3, ran the installation.
create table acted (
    at         integer not null,
    request_id blob    not null,
    n          integer not null,
    kind       integer not null,
    actor      text    not null,
    primary key (request_id, n)
) strict, without rowid;
create index acted_at on acted (at, request_id, n);
create index acted_actor on acted (actor, at, request_id, n);

-- Filters that somebody has given a name.
create table saved_view (
    owner    text    not null,
    name     text    not null,
    page     text    not null,
    query    text    not null,
    saved_at integer not null,
    primary key (owner, page, name)
) strict, without rowid;

-- Changes to many requests at once. The reason lies sealed. state: 0 runs, 1 paused, 2 cancelled, 3 over.
create table bulk_job (
    id          blob    not null primary key,
    created_at  integer not null,
    updated_at  integer not null,
    owned_until integer not null,
    owner       blob,
    state       integer not null,
    action      integer not null,
    total       integer not null,
    next_n      integer not null,
    done        integer not null,
    refused     integer not null,
    matched     integer not null,
    actor       text    not null,
    tenant      text,
    chosen      text    not null,
    digest      blob    not null,
    sealed      blob    not null
) strict, without rowid;
create index bulk_job_running on bulk_job (updated_at) where state = 0;

-- What it changes, each once: a request, or a task of it. outcome: 0 waits, 1 done, 2 not, because of `why`.
create table bulk_item (
    job        blob    not null,
    request_id blob    not null,
    n          integer not null,
    ordinal    integer not null,
    outcome    integer not null,
    why        text,
    primary key (job, n)
) strict, without rowid;
