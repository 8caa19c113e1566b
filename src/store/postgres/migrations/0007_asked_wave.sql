-- Waves of copies that their backup system is asked about, or was asked about in vain: few, because most waves only grow
-- old, and those have their rows in `deferred`. A rotation may end these as well, and by its mark the sweep finds them.
create table asked_wave (
    request_id uuid     not null,
    mark       bigint   not null,
    ordinal    smallint not null,
    processor  text     not null,
    primary key (request_id, ordinal)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index asked_wave_mark on asked_wave (processor, mark, request_id);
