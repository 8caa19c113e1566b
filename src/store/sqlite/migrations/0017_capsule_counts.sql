-- Requests whose identifiers only a capsule has are counted by its week and its sets: they can be opened until its key goes.
insert into counter (slot, kind, a, b, n)
select 0, 'capsules', cast(c.week as text), c.sets, count(*)
from capsule c join state s on s.id = c.request_id
where s.wrapped_key is null
group by c.week, c.sets;
