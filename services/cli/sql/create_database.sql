-- Makes the database of the embedded server, once, on the server's first start.
-- No parameters. The name is `postgres.DATABASE`.
CREATE DATABASE etapa
