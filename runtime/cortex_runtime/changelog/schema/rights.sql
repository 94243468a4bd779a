-- What the role of the nodes may do: it owns nothing.

revoke all on all tables in schema public from public;
revoke all on all functions in schema public from public;
grant usage on schema public to cortex;
grant select on all tables in schema public to cortex;
grant insert, update on node, slot_owner, directory, tenant, api_key, data_key, key_proof, denied to cortex;
grant execute on function append, audit_append, audit_sequence, keep_partitions, forget_expired to cortex;
