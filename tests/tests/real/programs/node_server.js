// A server of Node for HTTP/1.1, or with the argument `h2` for HTTP/2, that returns the
// body of the request, and trailers.
'use strict';
const http = require('node:http');
const http2 = require('node:http2');

const isTwo = process.argv[2] === 'h2';
const server = (isTwo ? http2 : http).createServer((request, response) => {
  response.statusCode = request.url === '/missing' ? 404 : 200;
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const sent = Object.keys(request.trailers).join(',');
    const body = Buffer.concat(chunks);
    response.setHeader('x-request-trailers', sent || 'none');
    // Node rejects trailers after a response that has no body.
    const hasTrailers = request.method !== 'HEAD';
    if (hasTrailers) response.setHeader('trailer', 'x-trailer');
    response.write(body.length > 0 ? body : 'hello from node');
    if (hasTrailers) response.addTrailers({ 'x-trailer': 'last' });
    response.end();
  });
});
server.listen(0, '127.0.0.1', () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
