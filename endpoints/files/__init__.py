"""A folder of files, wherever it is: on a disk or a share, behind SFTP or FTP, in S3."""
