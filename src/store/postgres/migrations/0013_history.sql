-- A hash over each fact, or revision of the registry, and all before it: a number alone does not tell one history from another,
-- and after a failover that lost commits fact 10 may be another fact 10. Filled by whoever passes the gate first.
alter table fact add column chain bytea;
alter table registry add column chain bytea;
