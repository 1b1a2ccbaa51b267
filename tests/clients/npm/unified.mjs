// The official unified TypeScript client, unmodified, tells one story and prints what it saw as JSON.
// argv[2]: {"host", "private_key", "wallet", "relayer_key", "owner", "slug", "condition", "token", "splits"}

import { createSecureClient, forkEnvironmentConfig, relayerApiKey } from "@polymarket/client";
import { privateKey } from "@polymarket/client/viem";

const told = JSON.parse(process.argv[2]);
const sockets = told.host.replace("http", "ws") + "/ws";
const environment = forkEnvironmentConfig({
  name: "local",
  rpc: `${told.host}/rpc`,
  clob: { rest: told.host, market: { ws: `${sockets}/market` }, user: { ws: `${sockets}/user` } },
  relayer: { rest: `${told.host}/relayer` },
  gamma: { rest: `${told.host}/gamma` },
  data: { rest: `${told.host}/data-api` },
  rtds: { ws: `${sockets}/rtds` },
  relayerPollFrequencyMs: 50,
});
const client = await createSecureClient({
  environment,
  signer: privateKey(told.private_key),
  wallet: told.wallet,
  apiKey: relayerApiKey({ key: told.relayer_key, address: told.owner }),
});
const seen = { slugs: [] };
for await (const page of client.listMarkets({ closed: false, pageSize: 2 })) {
  seen.slugs.push(...page.items.map((market) => market.slug));
}
seen.events = [];
for await (const page of client.listEvents({ closed: false, pageSize: 2 })) {
  seen.events.push(...page.items.map((event) => event.slug));
}
const market = await client.fetchMarket({ slug: told.slug });
seen.market = { slug: market.slug, condition: market.conditionId };
seen.book = (await client.fetchOrderBook({ tokenId: told.token })).hash;
seen.placed = await client.placeLimitOrder({
  tokenId: told.token,
  price: 0.45,
  size: 10,
  side: "BUY",
});
seen.cancelled = await client.cancelOrder({ orderId: seen.placed.orderId });
if (told.splits) {
  const condition = { conditionId: told.condition };
  await (await client.splitPosition({ ...condition, amount: 7_000_000n })).wait();
  await (await client.mergePositions({ ...condition, amount: 3_000_000n })).wait();
}
process.stdout.write(JSON.stringify(seen));
process.exit(0); // its keep-alive connections would hold the process
