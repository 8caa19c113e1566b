-- Waves of copies that their backup system is asked about, or was asked about in vain: few, because most waves only grow
-- old, and those have their rows in `deferred`. A rotation may end these as well, and by its mark the sweep finds them.
create table asked_wave (
    request_id blob    not null,
    mark       integer not null,
    ordinal    integer not null,
    processor  text    not null,
    primary key (request_id, ordinal)
) strict, without rowid;
create index asked_wave_mark on asked_wave (processor, mark, request_id);
