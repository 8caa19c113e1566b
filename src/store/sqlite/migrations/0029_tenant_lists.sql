-- The requests of one tenant, for lists. Where there is one tenant, it is "default", and this index stays empty: nothing is written
-- for a list that is the list of all. Ids are time-ordered, so it grows at one edge a tenant.
create index request_of_tenant on request (tenant, id) where tenant <> 'default';
