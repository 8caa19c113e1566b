-- Tasks that their topics do not take: none as long as every topic is there. Whoever finds that a topic takes them again
-- finds them here, in order of their requests.
create table undeliverable (
    request_id blob    not null,
    due        integer not null,
    ordinal    integer not null,
    too_large  integer not null,
    processor  text    not null,
    primary key (request_id, ordinal)
) strict, without rowid;
create index undeliverable_lane on undeliverable (processor, request_id, due, too_large);
