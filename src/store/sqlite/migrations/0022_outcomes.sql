-- What processors have answered lately, by five minutes and by how long they took: figures for people, not the truth of anything.
-- A row goes after a day.
create table outcome_recent (
    processor text    not null,
    since     integer not null,
    outcome   integer not null,
    bucket    integer not null,
    n         integer not null,
    primary key (since, processor, outcome, bucket)
) strict, without rowid;

-- The same by the hour, for the usual share of each answer. A row goes after 29 days.
create table outcome_hour (
    processor text    not null,
    since     integer not null,
    outcome   integer not null,
    n         integer not null,
    primary key (since, processor, outcome)
) strict, without rowid;
