-- What was told of copies that were taken is compacted once they are proved gone: the fact after one that is deleted keeps that
-- one's chain, so that the chain can be followed over what is gone.
alter table fact add column chain_before blob;
