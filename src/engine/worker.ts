// The engine's thread: a busy extension host does not stall a tunnel, and a busy tunnel does not stall the editor.
import { parentPort } from 'node:worker_threads';
import { createEngine } from './reconciler.js';
import type { FromWorker, ToWorker } from './workerMessage.js';

const port = parentPort;
if (!port) throw new Error('worker.js runs in a worker thread only');

const engine = createEngine();
const send = (message: FromWorker) => port.postMessage(message);
engine.onEvent((event) => send({ kind: 'event', event }));

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'apply':
      engine.apply(message.plan);
      break;
    case 'answer':
      engine.answer(message.askId, message.reply);
      break;
    case 'hosts':
      // A list that can't be made is an empty one: nothing that is asked on the side may end the tunnels.
      void engine.hosts(message.configFile).then(
        (hosts) => send({ kind: 'hosts', request: message.request, hosts }),
        () => send({ kind: 'hosts', request: message.request, hosts: [] }),
      );
      break;
    case 'clients':
      void engine
        .clients(message.forward)
        .then((clients) => send({ kind: 'clients', request: message.request, clients }));
      break;
    case 'disconnect':
      engine.disconnect(message.forward, message.client);
      break;
    case 'close':
      void engine.close().then(() => {
        send({ kind: 'closed' });
        port.close();
      });
  }
});
