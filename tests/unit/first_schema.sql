BEGIN TRANSACTION;
CREATE TABLE aside (
	id INTEGER NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	received_at DATETIME NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (sha256)
);
INSERT INTO "aside" VALUES(1,'1.2.826.0.1.3680043.10.999.1.1','1.2.826.0.1.3680043.10.999.1','aa/x.aside','2222222222222222222222222222222222222222222222222222222222222222','2026-11-23 08:00:00.000000','X','other content');
CREATE TABLE delivery (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	destination VARCHAR NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	revision INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	due_at DATETIME NOT NULL, 
	last_status INTEGER, 
	last_error TEXT NOT NULL, 
	delivered_at DATETIME, 
	PRIMARY KEY (sop_instance_uid, destination), 
	FOREIGN KEY(sop_instance_uid) REFERENCES result_object (sop_instance_uid)
);
INSERT INTO "delivery" VALUES('1.2.826.0.1.3680043.10.999.1.9','PACS','1.2.826.0.1.3680043.10.999.1',1,'measurement_sr','PENDING',2,'2026-11-23 08:04:00.000000',NULL,'x',NULL);
CREATE TABLE event (
	id INTEGER NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	revision INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	stage VARCHAR NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "event" VALUES(1,'1.2.826.0.1.3680043.10.999.1',0,'2026-11-23 08:00:01.000000','receive','received R CC 1.2.826.0.1.3680043.10.999.1.1 (655361 bytes) from MODALITY');
INSERT INTO "event" VALUES(2,'1.2.826.0.1.3680043.10.999.1',0,'2026-11-23 08:00:02.000000','receive','received L CC 1.2.826.0.1.3680043.10.999.1.2 (655362 bytes) from MODALITY');
INSERT INTO "event" VALUES(3,'1.2.826.0.1.3680043.10.999.1',0,'2026-11-23 08:00:03.000000','receive','received R MLO 1.2.826.0.1.3680043.10.999.1.3 (655363 bytes) from MODALITY');
INSERT INTO "event" VALUES(4,'1.2.826.0.1.3680043.10.999.1',0,'2026-11-23 08:00:04.000000','receive','received L MLO 1.2.826.0.1.3680043.10.999.1.4 (655364 bytes) from MODALITY');
INSERT INTO "event" VALUES(5,'1.2.826.0.1.3680043.10.999.1',0,'2026-11-23 08:00:00.000000','receive','kept aside 1.2.826.0.1.3680043.10.999.1.1: other content');
CREATE TABLE instance (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	transfer_syntax_uid VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	received_at DATETIME NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	to_read BOOLEAN NOT NULL, 
	rule VARCHAR NOT NULL, 
	standard_view VARCHAR NOT NULL, 
	patient_id VARCHAR NOT NULL, 
	issuer_of_patient_id VARCHAR NOT NULL, 
	accession_number VARCHAR NOT NULL, 
	study_date VARCHAR NOT NULL, 
	PRIMARY KEY (sop_instance_uid)
);
INSERT INTO "instance" VALUES('1.2.826.0.1.3680043.10.999.1.1','1.2.840.10008.5.1.4.1.1.1.2','1.2.826.0.1.3680043.10.999.1','1.2.826.0.1.3680043.10.999.1.0','1.2.840.10008.1.2.1','aa/1.2.826.0.1.3680043.10.999.1/1.2.826.0.1.3680043.10.999.1.1.dcm','0000000000000000000000000000000000000000000000000000000000000000',655361,'2026-11-23 08:00:01.000000','MODALITY',1,'screening','R CC','P1','','A1','20261123');
INSERT INTO "instance" VALUES('1.2.826.0.1.3680043.10.999.1.2','1.2.840.10008.5.1.4.1.1.1.2','1.2.826.0.1.3680043.10.999.1','1.2.826.0.1.3680043.10.999.1.0','1.2.840.10008.1.2.1','aa/1.2.826.0.1.3680043.10.999.1/1.2.826.0.1.3680043.10.999.1.2.dcm','0000000000000000000000000000000000000000000000000000000000000000',655362,'2026-11-23 08:00:02.000000','MODALITY',1,'screening','L CC','P1','','A1','20261123');
INSERT INTO "instance" VALUES('1.2.826.0.1.3680043.10.999.1.3','1.2.840.10008.5.1.4.1.1.1.2','1.2.826.0.1.3680043.10.999.1','1.2.826.0.1.3680043.10.999.1.0','1.2.840.10008.1.2.1','aa/1.2.826.0.1.3680043.10.999.1/1.2.826.0.1.3680043.10.999.1.3.dcm','0000000000000000000000000000000000000000000000000000000000000000',655363,'2026-11-23 08:00:03.000000','MODALITY',1,'screening','R MLO','P1','','A1','20261123');
INSERT INTO "instance" VALUES('1.2.826.0.1.3680043.10.999.1.4','1.2.840.10008.5.1.4.1.1.1.2','1.2.826.0.1.3680043.10.999.1','1.2.826.0.1.3680043.10.999.1.0','1.2.840.10008.1.2.1','aa/1.2.826.0.1.3680043.10.999.1/1.2.826.0.1.3680043.10.999.1.4.dcm','0000000000000000000000000000000000000000000000000000000000000000',655364,'2026-11-23 08:00:04.000000','MODALITY',1,'screening','L MLO','P1','','A1','20261123');
CREATE TABLE reading (
	study_instance_uid VARCHAR(64) NOT NULL, 
	revision INTEGER NOT NULL, 
	reading_json TEXT NOT NULL, 
	category VARCHAR(16) NOT NULL, 
	previews_json TEXT NOT NULL, 
	saved_at DATETIME NOT NULL, 
	PRIMARY KEY (study_instance_uid, revision), 
	FOREIGN KEY(study_instance_uid) REFERENCES study (study_instance_uid)
);
INSERT INTO "reading" VALUES('1.2.826.0.1.3680043.10.999.1',1,'{"study_instance_uid": "1.2.826.0.1.3680043.10.999.1", "category": "NOT_READ", "reasons": [{"code": "READER_FAILED", "sop_instance_uid": "", "detail": "3 attempts"}], "left_out": [{"code": "IMPLANT", "sop_instance_uid": "1.2.826.0.1.3680043.10.999.1.2", "detail": ""}]}','NOT_READ','{}','2026-11-23 08:02:00.000000');
CREATE TABLE result_object (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	revision INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	options VARCHAR NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	error TEXT NOT NULL, 
	PRIMARY KEY (sop_instance_uid), 
	FOREIGN KEY(study_instance_uid) REFERENCES study (study_instance_uid)
);
INSERT INTO "result_object" VALUES('1.2.826.0.1.3680043.10.999.1.9','1.2.840.10008.5.1.4.1.1.88.33','1.2.826.0.1.3680043.10.999.1','1.2.826.0.1.3680043.10.999.1.8',1,'measurement_sr','{}','aa/1.2.826.0.1.3680043.10.999.1/1.2.826.0.1.3680043.10.999.1.9.dcm','1111111111111111111111111111111111111111111111111111111111111111',99,'2026-11-23 08:03:00.000000','');
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(1);
CREATE TABLE study (
	study_instance_uid VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	revision INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	jobs INTEGER NOT NULL, 
	due_at DATETIME, 
	first_received_at DATETIME NOT NULL, 
	last_received_at DATETIME NOT NULL, 
	changed_at DATETIME NOT NULL, 
	patient_id VARCHAR NOT NULL, 
	issuer_of_patient_id VARCHAR NOT NULL, 
	accession_number VARCHAR NOT NULL, 
	study_date VARCHAR NOT NULL, 
	PRIMARY KEY (study_instance_uid)
);
INSERT INTO "study" VALUES('1.2.826.0.1.3680043.10.999.1','READING',1,0,0,NULL,'2026-11-23 08:00:01.000000','2026-11-23 08:00:04.000000','2026-11-23 08:01:00.000000','P1','','A1','20261123');
CREATE INDEX ix_instance_study_instance_uid ON instance (study_instance_uid);
CREATE INDEX ix_study_state_due_at ON study (state, due_at);
CREATE INDEX ix_aside_study_instance_uid ON aside (study_instance_uid);
CREATE INDEX ix_event_study_instance_uid ON event (study_instance_uid);
CREATE INDEX ix_result_object_study_instance_uid_revision ON result_object (study_instance_uid, revision);
CREATE INDEX ix_delivery_study_instance_uid_revision_destination ON delivery (study_instance_uid, revision, destination);
CREATE INDEX ix_delivery_state_due_at ON delivery (state, due_at);
COMMIT;
