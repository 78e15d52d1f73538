ALTER TABLE users ALTER seen TYPE timestamptz;
ALTER TABLE lookup ALTER label TYPE varchar(10);
ALTER TABLE lookup ALTER label TYPE text;
ALTER TABLE users ALTER age SET NOT NULL