-- Commands that have come before the request that they name: few, and for seconds only.

-- buried_at: nothing came, and the dead letter has been written; the row stays until it has been produced.
create table early_command (
    cluster    text    not null,
    topic      text    not null,
    part       integer not null,
    off        integer not null,
    request_id blob    not null,
    tenant     text    not null,
    command_id blob    not null,
    arrived_at integer not null,
    expires_at integer not null,
    buried_at  integer,
    command    blob    not null,
    raw        blob    not null,
    primary key (cluster, topic, part, off)
) strict, without rowid;
create index early_command_request on early_command (request_id);
create index early_command_expires on early_command (expires_at);
