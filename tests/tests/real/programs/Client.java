import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/** Requests by Java's client, which offers an upgrade to h2c unless told otherwise. */
class Client {
    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newHttpClient();
        var get = HttpRequest.newBuilder(URI.create(arguments[0])).build();
        for (int round = 0; round < 3; round++) {
            var answer = client.send(get, BodyHandlers.ofString());
            System.out.println(answer.version() + " " + answer.statusCode() + " " + answer.body());
        }
        var body = HttpRequest.BodyPublishers.ofByteArray(new byte[1_000_000]);
        var post = HttpRequest.newBuilder(URI.create(arguments[0] + "digest")).POST(body).build();
        System.out.println(client.send(post, BodyHandlers.ofString()).body().split(" ")[1]);
    }
}
