-- Tasks in the queues of their lanes: ready, and waiting to be claimed. A row goes when its task is claimed, so no row stands for
-- what is in flight, and no index has to be kept for it.
create table queued (
    request_id blob    not null,
    due        integer not null,
    ordinal    integer not null,
    processor  text    not null,
    tenant     text    not null,
    primary key (request_id, ordinal)
) strict, without rowid;
-- A lane is claimed tenant by tenant, so that none of them waits for another one's million.
create index queued_lane on queued (processor, tenant, due, request_id, ordinal);

-- Which worker runs a lane, and until when if it is not heard of again; how its circuit breaker stands.
create table lane (
    processor   text    primary key,
    owner       blob,
    owned_until integer not null,
    circuit     text
) strict, without rowid;
