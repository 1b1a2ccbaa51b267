// The official TypeScript client, unmodified, tells one story and prints what it saw as JSON.
// argv[2]: {"host", "private_key", "signature_type", "funder", "token"}

import { ClobClient, OrderType, Side } from "@polymarket/clob-client-v2";
import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const told = JSON.parse(process.argv[2]);
console.error = () => {}; // the client logs refusals, which are expected here
const account = privateKeyToAccount(told.private_key);
const signer = createWalletClient({ account, transport: http(told.host) });
const options = {
  host: told.host,
  chain: 137,
  signer,
  signatureType: told.signature_type,
  funderAddress: told.funder,
};
const creds = await new ClobClient(options).createOrDeriveApiKey();
const client = new ClobClient({ ...options, creds });
const seen = { key: creds.key };
seen.keys = await client.getApiKeys();
seen.tick = await client.getTickSize(told.token);
seen.negRisk = await client.getNegRisk(told.token);
seen.midpoint = await client.getMidpoint(told.token);
const book = await client.getOrderBook(told.token);
seen.hash = [book.hash, await client.getOrderBookHash({ ...book })];
const bid = { tokenID: told.token, price: 0.45, side: Side.BUY, size: 10 };
seen.placed = await client.createAndPostOrder(bid, undefined, OrderType.GTC, true);
seen.open = await client.getOpenOrders();
seen.refused = await client.createAndPostOrder({ ...bid, price: 0.5 }, undefined, OrderType.GTC, true);
seen.cancelled = await client.cancelOrder({ orderID: seen.placed.orderID });
seen.bought = await client.createAndPostMarketOrder(
  { tokenID: told.token, amount: 10, side: Side.BUY, orderType: OrderType.FOK },
  undefined,
  OrderType.FOK,
);
seen.trades = await client.getTrades();
seen.balance = await client.getBalanceAllowance({ asset_type: "COLLATERAL" });
seen.heartbeat = await client.postHeartbeat();
process.stdout.write(JSON.stringify(seen));
