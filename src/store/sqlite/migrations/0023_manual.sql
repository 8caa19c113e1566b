-- What people have done about the tasks that they do: who has claimed one, to whom it was handed over, and what the first of two has
-- confirmed, sealed. A task that nobody has touched has no row: it stands in its queue.
create table manual (
    request_id   blob    not null,
    ordinal      integer not null,
    processor    text    not null,
    generation   integer not null,
    attempt      integer not null,
    assignee     text,
    claimed_by   text,
    claimed_at   integer,
    confirmed_by text,
    confirmed    blob,
    primary key (request_id, ordinal)
) strict, without rowid;
