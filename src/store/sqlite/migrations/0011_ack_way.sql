-- How the acks of a processor were seen to be spread over the ack topic's partitions: with how many of them, and which ways from a
-- key to a partition all of them agree with, each a bit. 0: they can come to any partition.
create table ack_way (
    cluster    text    not null,
    topic      text    not null,
    partitions integer not null,
    processor  text    not null,
    ways       integer not null,
    primary key (cluster, topic, partitions, processor)
) strict, without rowid;
