SET LOCAL work_mem = '1GB';
RESET ALL;
RESET work_mem;
SET ROLE r