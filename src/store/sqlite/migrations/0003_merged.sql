-- The same table as in PostgreSQL's migration 0003, where it is explained.

create table merged (
    leader     blob not null,
    request_id blob not null,
    primary key (leader, request_id)
) strict, without rowid;
