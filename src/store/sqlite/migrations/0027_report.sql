-- How many requests were forgotten: explained in PostgreSQL's migration 0027.
create table forgotten (
    hour   integer not null,
    tenant text    not null,
    regime text    not null,
    status integer not null,
    n      integer not null,
    primary key (hour, tenant, regime, status)
) strict, without rowid;

create table drop_fetch (
    broker text    not null,
    day    text    not null,
    kind   text    not null,
    n      integer not null,
    at     integer not null,
    primary key (broker, day, kind)
) strict, without rowid;
