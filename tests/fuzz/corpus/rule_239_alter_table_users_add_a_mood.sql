ALTER TABLE users ADD a mood;
ALTER TABLE users ALTER name TYPE varchar(10);
ALTER TABLE users ALTER name TYPE varchar(30);
ALTER TABLE users ALTER age TYPE bigint