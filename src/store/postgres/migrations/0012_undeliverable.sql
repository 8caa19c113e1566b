-- Tasks that their topics do not take: none as long as every topic is there. Whoever finds that a topic takes them again
-- finds them here, in order of their requests.
create table undeliverable (
    request_id uuid     not null,
    due        bigint   not null,
    ordinal    smallint not null,
    too_large  boolean  not null,
    processor  text     not null,
    primary key (request_id, ordinal)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index undeliverable_lane on undeliverable (processor, request_id, due, too_large);
