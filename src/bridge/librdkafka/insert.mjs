// What logpipe inserts into librdkafka 2.15.1, in one place for set-up and for the release:
//   whole batches   a consumer may be handed record batches as they are (whole-batches.c)
//   the CRC skip    behind a batch whose CRC fails, the next batch is read and not a place within it
//   zstd            a frame is decompressed at the first try (zstd-bound.c)
//   huge pages      for large receive buffers (huge-pages.c)
//   coordinators    a request that timed out before its coordinator was found aborts the process
//   leaders         a question about offsets is begun by one thread and ended by another
//   new topics      a topic made anew begins at leader epoch 0, which is taken for an old answer
//
// Each insertion stands before or behind an anchor, a text that must be there exactly once: a
// librdkafka that was changed there has to be looked at before this may go on. What was inserted by
// an earlier call is taken out first, so that a second call changes nothing.
// Plain JavaScript for any Node from 20: set-up runs it before there is another.
import fs from 'node:fs'
import path from 'node:path'

const folder = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname)
const textOf = (name) => fs.readFileSync(path.join(folder, name), 'utf8')

/** What librdkafka's own build must be told of: a change of these builds it again. */
export const insertionSources = [
  'huge-pages.c',
  'insert.mjs',
  'whole-batches.c',
  'whole-batches.h',
  'zstd-bound.c',
].map((name) => path.join(folder, name))

const BEGIN = '/* logpipe inserts: */\n'
const END = '/* logpipe ends. */\n'

const INSERTIONS = [
  {
    file: 'rdkafka.h',
    before:
      '\n/**@}*/\n\n/* @cond NO_DOC */\n#ifdef __cplusplus\n}\n#endif\n#endif /* _RDKAFKA_H_ */\n',
    text: () => textOf('whole-batches.h'),
  },
  {
    file: 'rdkafka_conf.h',
    behind: '        int check_crcs;\n',
    text: () => '        int whole_batches;\n',
  },
  {
    file: 'rdkafka_conf.c',
    before: '    {_RK_GLOBAL | _RK_CONSUMER | _RK_MED, "check.crcs", _RK_C_BOOL,\n',
    text: () =>
      '    {_RK_GLOBAL | _RK_CONSUMER, "logpipe.whole.batches", _RK_C_BOOL, _RK(whole_batches),\n' +
      '     "Record batches of message format v2 come as one message each.", 0, 1, 0},\n',
  },
  {
    file: 'rdkafka_msgset_reader.c',
    before:
      '/**\n * @brief Read v2 messages from current buffer position.\n */\nstatic rd_kafka_resp_err_t\n' +
      'rd_kafka_msgset_reader_msgs_v2(rd_kafka_msgset_reader_t *msetr) {\n',
    text: () => textOf('whole-batches.c'),
  },
  {
    // Behind the look at aborted transactions. Control batches and empty ones, which compaction
    // leaves, take librdkafka's own way.
    file: 'rdkafka_msgset_reader.c',
    before:
      '        while (rd_kafka_buf_read_remain(msetr->msetr_rkbuf)) {\n' +
      '                rd_kafka_resp_err_t err;\n' +
      '                err = rd_kafka_msgset_reader_msg_v2(msetr);\n',
    text: () =>
      '        if (msetr->msetr_rkb->rkb_rk->rk_conf.whole_batches &&\n' +
      '            !(msetr->msetr_v2_hdr->Attributes & RD_KAFKA_MSGSET_V2_ATTR_CONTROL) &&\n' +
      '            msetr->msetr_v2_hdr->RecordCount > 0)\n' +
      '                return rd_kafka_msgset_reader_batch_v2(msetr);\n',
  },
  {
    // rd_kafka_buf_skip_to() takes a position, and crc_len is a length: right by chance only for
    // what lies at the beginning of a response.
    file: 'rdkafka_msgset_reader.c',
    before: '                                rd_kafka_buf_skip_to(rkbuf, crc_len);\n',
    text: () => '                                crc_len = len_start + hdr.Length;\n',
  },
  {
    file: 'rdkafka_zstd.c',
    behind: '#include <zstd_errors.h>\n',
    text: () => textOf('zstd-bound.c'),
  },
  {
    // As much as is allowed at all; what the bound has too much goes back (below).
    file: 'rdkafka_zstd.c',
    behind: '                out_bufsize = inlen * 2;\n',
    text: () =>
      '                if (rkb->rkb_rk->rk_conf.whole_batches)\n' +
      '                        out_bufsize = RD_MIN(\n' +
      '                            rd_kafka_zstd_bound(inbuf, inlen, out_bufsize),\n' +
      '                            (unsigned long long)rkb->rkb_rk->rk_conf.recv_max_msg_size);\n',
  },
  {
    file: 'rdkafka_zstd.c',
    before:
      '                        *outlenp = ret;\n                        *outbuf  = decompressed;\n',
    text: () =>
      '                        if (rkb->rkb_rk->rk_conf.whole_batches &&\n' +
      '                            out_bufsize - ret > RD_KAFKA_ZSTD_BLOCK)\n' +
      '                                decompressed = rd_realloc(decompressed, RD_MAX(ret, 1));\n',
  },
  {
    file: 'rdkafka_broker.c',
    behind: '#include "rdkafka_int.h"\n',
    text: () =>
      '#ifdef __linux__\n#include <sys/mman.h>\n#endif\n#define RD_KAFKA_HUGE_PAGE (2 << 20)\n',
  },
  {
    // A response's size is known, and its buffer was just allocated.
    file: 'rdkafka_broker.c',
    before:
      '                }\n        }\n\n' +
      '        if (rd_buf_write_pos(&rkbuf->rkbuf_buf) - RD_KAFKAP_RESHDR_SIZE ==\n',
    text: () => textOf('huge-pages.c'),
  },
  {
    // A request to a coordinator that was found only after the request's time was up: librdkafka
    // gives the last reference up, answers "destroyed", and that answer is made with the reference.
    // Taking the second one before the first is given up keeps it alive until then
    // (https://github.com/confluentinc/librdkafka/issues/3663).
    file: 'rdkafka_admin.c',
    before:
      '        rko = rd_kafka_enq_once_del_source_return(eonce, "coordinator request");\n' +
      '        if (!rko)\n',
    text: () => '        rd_kafka_enq_once_add_source(eonce, "coordinator response");\n',
  },
  {
    file: 'rdkafka_admin.c',
    before:
      '        rd_kafka_enq_once_add_source(eonce, "coordinator response");\n\n' +
      '        err = rko->rko_u.admin_request.cbs->request(\n',
    text: () => '        if (0) /* taken above */\n',
  },
  {
    // ListOffsets asks for the leaders first. Its first step is made by whoever calls it, and tells
    // the metadata cache to wake it: what the cache learns before that step has ended lets the main
    // thread make the next one at the same time, which gives up what the first one still uses. With
    // the first step on the main thread too, there is one after the other.
    file: 'rdkafka_partition.c',
    before: '        rd_kafka_enq_once_add_source(rko->rko_u.leaders.eonce, "timeout timer");\n',
    text: () =>
      '        rd_kafka_enq_once_t *eonce = rko->rko_u.leaders.eonce;\n' +
      '        rd_kafka_enq_once_add_source(eonce, "first query");\n',
  },
  {
    file: 'rdkafka_partition.c',
    before: '        if (rd_kafka_topic_partition_list_query_leaders_async_worker(rko) ==\n',
    text: () =>
      '        rd_kafka_enq_once_trigger(eonce, RD_KAFKA_RESP_ERR_NO_ERROR, "first query");\n' +
      '        if (0) /* begun by the main thread */\n',
  },
  {
    // A topic that was deleted and created again has its first leader epoch, and librdkafka ignores
    // a leader whose epoch is below the one it knows: of the old topic, where it did not see that
    // there was none in between. Its partitions then stand still without an error.
    file: 'rdkafka_topic.c',
    behind: '                        rkt->rkt_topic_id = mdit->topic_id;\n',
    text: () =>
      '                        for (j = 0; j < rkt->rkt_partition_cnt; j++) {\n' +
      '                                rd_kafka_toppar_t *rktp = rd_kafka_toppar_get(rkt, j, 0);\n' +
      '                                if (!rktp)\n' +
      '                                        continue;\n' +
      '                                rd_kafka_toppar_lock(rktp);\n' +
      '                                rktp->rktp_leader_epoch = -1;\n' +
      '                                rd_kafka_toppar_unlock(rktp);\n' +
      '                                rd_kafka_toppar_destroy(rktp);\n' +
      '                        }\n',
  },
]

/**
 * Makes the insertions in librdkafka's sources.
 * @param {string} sources the folder of rdkafka.h
 * @throws {Error} when an anchor is not there exactly once; then nothing has been changed
 */
export function insertInto(sources) {
  const texts = new Map()
  for (const { file, before, behind, text } of INSERTIONS) {
    const known =
      texts.get(file) ?? withoutInsertions(fs.readFileSync(path.join(sources, file), 'utf8'))
    const anchor = before ?? behind
    const count = known.split(anchor).length - 1
    if (count !== 1) {
      const head = anchor.trim().split('\n')[0]
      throw new Error(
        `${file} of librdkafka has the place "${head}" ${count} times, and 1 is expected: ` +
          'this librdkafka is not the one that logpipe knows (src/bridge/librdkafka/insert.mjs)',
      )
    }
    const inserted = `${BEGIN}${text()}${END}`
    const parts = before === undefined ? [anchor, inserted] : [inserted, anchor]
    texts.set(
      file,
      known.replace(anchor, () => parts.join('')),
    )
  }
  for (const [file, text] of texts) writeIfOther(path.join(sources, file), text)
}

function withoutInsertions(text) {
  let rest = text
  for (let from = rest.indexOf(BEGIN); from >= 0; from = rest.indexOf(BEGIN)) {
    const to = rest.indexOf(END, from)
    if (to < 0) throw new Error('an insertion of logpipe in librdkafka has no end: run npm ci')
    rest = rest.slice(0, from) + rest.slice(to + END.length)
  }
  return rest
}

/** An unchanged file keeps its time, so that make does not compile it again. */
function writeIfOther(file, text) {
  if (fs.readFileSync(file, 'utf8') !== text) fs.writeFileSync(file, text)
}
