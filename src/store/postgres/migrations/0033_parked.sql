-- Of what is not closed: whether all that is left of it only has to grow old (deferred). There may be a million of those, for a month,
-- and who looks for what is in progress has to find it beside them. A list of either goes by when requests were received, which
-- is told by one index in place of the one that only had the times: as before, requests of one transaction share its entry.
alter table agenda add column parked boolean not null default false;
drop index agenda_received_at;
create index agenda_parked on agenda (parked, received_at);

-- It is filled in for what an earlier version has written, together with what is there already.
update listed set after_id = null, done = not exists (select from agenda);
