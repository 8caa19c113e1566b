-- From when a request has to have been received to be counted by regime, by the gate that it waits at, and by where it is overdue. What
-- is packed into the rows of earlier ones is not read for it. Within the hour a worker of the version before may still take requests in,
-- which does not count them.
insert into counter (slot, kind, a, b, n)
    select 0, 'census', '', '', case when exists (select from state)
        then (extract(epoch from clock_timestamp()) * 1000)::bigint + 3600000 else 0 end;
