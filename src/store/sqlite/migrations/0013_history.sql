-- A hash over each fact, or revision of the registry, and all before it: a number alone does not tell one history from another,
-- and after a backup was put back fact 10 may be another fact 10. Filled by whoever passes the gate first.
alter table fact add column chain blob;
alter table registry add column chain blob;
