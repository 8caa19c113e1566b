-- Commands that have come before the request that they name: few, and for seconds only.

-- buried_at: nothing came, and the dead letter has been written; the row stays until it has been produced.
create table early_command (
    cluster    text    not null,
    topic      text    not null,
    part       integer not null,
    off        bigint  not null,
    request_id uuid    not null,
    tenant     text    not null,
    command_id uuid    not null,
    arrived_at bigint  not null,
    expires_at bigint  not null,
    buried_at  bigint,
    command    bytea   not null,
    raw        bytea   not null,
    primary key (cluster, topic, part, off)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
create index early_command_request on early_command (request_id);
create index early_command_expires on early_command (expires_at);
