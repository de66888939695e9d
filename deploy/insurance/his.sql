-- What the example channels fetch from a HIS: tables, or views over its own. `state`: 0 to upload, 1 taken, 9 refused at the door.
-- A column `body` holds JSON, as the map of its channel reads it (transforms/maps/README.md).

-- Anything that already is the input of a transaction: {"baseinfo": {...}, "diseinfo": [...]} of 4401, say.
create table ins_upload (
  id integer primary key,
  infno varchar(10) not null,
  row_key varchar(100) not null,
  body text not null,
  state integer not null default 0,
  reason varchar(1000)
);

-- Settlement lists (医保结算清单), once the record room has released them: map settlement-list-to-4101a.
create table ins_settlement_list (
  id integer primary key,
  setl_id varchar(30) not null,
  body text not null,
  state integer not null default 0,
  reason varchar(1000)
);

-- Outpatient and emergency visits: map visit-record-to-4301.
create table ins_visit_record (
  id integer primary key,
  mdtrt_sn varchar(30) not null,
  body text not null,
  state integer not null default 0,
  reason varchar(1000)
);

-- Fee lines of self-paying patients: map fees-to-4201. Columns as in the interface.
create table ins_self_pay_fee (
  id integer primary key,
  mdtrt_sn varchar(30), ipt_otp_no varchar(30), med_type varchar(6), chrg_bchno varchar(30), feedetl_sn varchar(30),
  psn_cert_type varchar(6), certno varchar(50), psn_name varchar(50), fee_ocur_time varchar(19),
  cnt numeric(16, 4), pric numeric(16, 6), det_item_fee_sumamt numeric(16, 2),
  med_list_codg varchar(50), medins_list_codg varchar(150), medins_list_name varchar(100),
  med_chrgitm_type varchar(6), prodname varchar(200),
  bilg_dept_codg varchar(30), bilg_dept_name varchar(100), bilg_dr_codg varchar(30), bilg_dr_name varchar(50),
  state integer not null default 0,
  reason varchar(1000)
);

-- What the pharmacy dispensed (sel_retn_cnt > 0) and took back (< 0): map dispensing-to-stock.
create table ins_dispensing (
  id integer primary key,
  med_list_codg varchar(50), fixmedins_hilist_id varchar(30), fixmedins_hilist_name varchar(200),
  fixmedins_bchno varchar(30), prsc_dr_name varchar(50), phar_name varchar(50), phar_prac_cert_no varchar(50),
  hi_feesetl_type varchar(6), setl_id varchar(30), mdtrt_sn varchar(30), psn_no varchar(30),
  manu_lotnum varchar(30), manu_date varchar(10), expy_end varchar(10), rx_flag varchar(3), trdn_flag varchar(3),
  finl_trns_pric numeric(16, 6), rxno varchar(40), rtal_docno varchar(40), medins_prod_sel_no varchar(50),
  sel_retn_cnt numeric(16, 4), sel_retn_time varchar(19), sel_retn_opter_name varchar(50),
  trace_codes varchar(2000),
  state integer not null default 0,
  reason varchar(1000)
);
